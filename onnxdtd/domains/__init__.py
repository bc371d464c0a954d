"""Where values lie: intervals, the range of every value by op, boxes at the input, elementwise."""
