"""Recipes and studies of paper 003: third-octave levels transcoded to the Mel features of a frozen classifier."""
