"""Pictures to judge a data set and predictions by eye."""
