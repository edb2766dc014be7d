"""Where, under whose jurisdiction, at which date: regions, their scope codes, and the units that answer."""
