#!/bin/bash
# Training under a real Slurm: two nodes on this machine, made in a temporary folder and removed afterwards. Started by
# hand, as root: the suite does not run it. Needs the Debian packages slurm-wlm and munge, and takes a few minutes.
#
#     PYTHON=$PWD/.venv/bin/python tests/slurm.sh
set -eu
[ -n "${INSIDE:-}" ] || INSIDE=1 exec unshare --mount "$0"  # so that the names n1 and n2 are known to nobody else
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-$PWD/.venv/bin/python}
HOST=$(hostname -s)
T=$(mktemp -d)
export PYTHON SLURM_CONF=$T/slurm.conf CELLCYCLE_JAX_CACHE=$T/cache ACCELERATOR="" DATA=$T/data
daemons=()
end() {
  scancel --user=root 2> /dev/null
  for _ in {1..20}; do squeue --noheader 2> /dev/null | grep -q . || break; sleep 1; done
  kill "${daemons[@]}"; wait
  [ -n "${KEEP:-}" ] && echo "kept: $T" || rm -rf "$T"
}
trap end EXIT

{ cat /etc/hosts; echo "127.0.0.1 n1 n2"; } > "$T/hosts"
mount --bind "$T/hosts" /etc/hosts
mkdir -m 700 "$T/munge"; chmod 755 "$T"
head -c 128 /dev/urandom > "$T/munge/key"; chmod 600 "$T/munge/key"
mkdir -m 755 "$T/socket"; chown -R munge "$T/munge" "$T/socket"
setpriv --reuid=munge --regid=munge --clear-groups munged --foreground --force --socket="$T/socket/munge" \
  --key-file="$T/munge/key" --log-file="$T/munge/log" --pid-file="$T/munge/pid" --seed-file="$T/munge/seed" 2> /dev/null &
daemons+=($!)
cat > "$SLURM_CONF" <<CONF
ClusterName=two
SlurmctldHost=$HOST
SlurmctldPort=16817
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$T/socket/munge,cred_expire=5
StateSaveLocation=$T/state
SlurmdSpoolDir=$T/spool-%n
SlurmctldPidFile=$T/slurmctld.pid
SlurmdPidFile=$T/slurmd-%n.pid
SlurmctldLogFile=$T/slurmctld.log
SlurmdLogFile=$T/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
KillWait=10
SlurmdTimeout=10
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n[1-2] NodeHostname=$HOST NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=8 Gres=gpu:2
PartitionName=low Nodes=n[1-2] PriorityTier=1 GraceTime=30 Default=YES
PartitionName=high Nodes=n[1-2] PriorityTier=2
CONF
printf "Name=gpu File=%s\n" /dev/null /dev/zero > "$T/gres.conf"  # so that jobs may ask for GPUs; there are none
mkdir -p "$T/state" "$T/spool-n1" "$T/spool-n2"
until munge -S "$T/socket/munge" -n > /dev/null 2>&1; do sleep 0.2; done
slurmctld -D > /dev/null 2>&1 & daemons+=($!)
slurmd -D -N n1 > /dev/null 2>&1 & daemons+=($!)
slurmd -D -N n2 > /dev/null 2>&1 & daemons+=($!)
until [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ]; do sleep 1; done

say() { echo; echo "== $*"; }
state() { scontrol show job "$1" | grep -o "JobState=[A-Z]*\|Restarts=[0-9]*\|ExitCode=[0-9:]*" | sort -u | tr '\n' ' '; }
ended() { while squeue -h -j "$1" 2> /dev/null | grep -q .; do sleep 1; done; state "$1"; echo; }
small=(--config.model.name=nagao2020 --config.model.filters=4 --config.model.depth=1 --config.train.batch_size=8
  --config.train.steps="${STEPS:-3000}" --config.train.eval_every=100 --config.train.patience=0)
submit() {  # name of the run -> job
  RUN=$T/$1 sbatch --parsable --nodes=2 --gpus-per-node=2 --cpus-per-task=1 --output="$T/$1.out" cloud/train.sbatch \
    --config=configs/default.py "${small[@]}"
}
training() { until compgen -G "$T/$1/checkpoints/sha256-*" > /dev/null; do sleep 0.5; done; }

say "two processes find each other"
srun -N2 -n2 "$PYTHON" -c "from cellcycle_jax.devices import mesh; mesh.start(); import jax
print('process', jax.process_index(), 'of', jax.process_count(), 'with', jax.device_count(), 'devices')"

"$PYTHON" -c "import pathlib, sys; from tests import tiny; tiny.write_data(pathlib.Path(sys.argv[1]))" "$DATA"

say "a run without interruption"
job=$(submit straight); ended "$job"

say "scancel --signal=TERM"
job=$(submit told); training told; scancel --signal=TERM "$job"; ended "$job"

say "preempted by a partition of higher priority"
job=$(submit preempted); training preempted; srun -p high -N2 -n2 --cpus-per-task=8 sleep 3; ended "$job"

say "an array of two runs of a study, one of which is told to stop"
export SWEEP=$T/sweep
job=$(sbatch --parsable --array=0-1 --cpus-per-task=1 --output="$T/sweep-%a.out" cloud/sweep.sbatch \
  --config=experiments/channels.py "${small[@]}")
training sweep/runs/DNA_seed1; scancel --signal=TERM "${job}_1"; ended "$job"
"$PYTHON" launch.py sweep --config=experiments/channels.py --data="$DATA" --workdir="$SWEEP" --list "${small[@]}" | head -3

say "all three end with the same weights"
"$PYTHON" - "$T" <<'PY'
import sys

import jax
import numpy as np

from cellcycle_jax.runs import metric_log, trained_run

folders = [f"{sys.argv[1]}/{name}" for name in ("straight", "told", "preempted")]
runs = [trained_run.load_run(folder, finished=True) for folder in folders]
lines = [[{k: v for k, v in line.items() if k != "seconds"} for line in metric_log.read(folder)] for folder in folders]
for folder, other, own in zip(folders[1:], runs[1:], lines[1:], strict=True):
    equal = jax.tree.map(np.array_equal, runs[0].variables, other.variables)
    print(folder.split("/")[-1], "equal to straight:", all(jax.tree.leaves(equal)) and own == lines[0])
PY
