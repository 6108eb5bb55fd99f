"""The scheduling laboratory: the real `plan` and `apply` on machines and jobs that are drawn from a seed.

    python -m odyssey.scheduler.lab --seeds 20 --workload all --svg lab.svg

Time is virtual, an hour takes a tenth of a second, and the same seed is the same run on every computer. It is how the
default weights are chosen, how one policy is compared with another, and where a suspicion about the planner is tried
out before anything is changed.

Promises: decisions and their consequences go through the code that runs in a mesh; only machines, network and work are
pretended, by rules that stand at the head of the file that pretends them.
Never: reaches the world (only `__main__` prints and writes), or lets a policy see what a mesh could not know.
"""
