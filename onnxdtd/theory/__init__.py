"""The theory behind the heatmaps, made checkable: roots, linear regions, the recursive Taylor method."""
