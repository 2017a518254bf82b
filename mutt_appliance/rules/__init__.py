"""Which rule wins for an event and what that means; pure, for the alerter and for those who ask beforehand.

ruleset    which rule wins, all rules in one pass
patterndb  the regular expressions of all rules compiled together
decide     what a rule means for an event: handling, team, environment
patterns   unmatched messages folded, so that one kind of message is one counter
"""
