"""The simulated world: physics, rendering, and the arms and robots in it. Everything here loads MuJoCo."""
