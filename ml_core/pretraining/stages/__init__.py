"""The stages of a recipe that train: each frozen settings and a function from a model directory to a new one."""
