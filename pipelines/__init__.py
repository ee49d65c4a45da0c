"""When assets run and together with what: definitions, jobs, schedules, sensors, checks, cli."""
