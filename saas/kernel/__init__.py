"""Values everything stands on: clock, ids, errors, paging, transition tables. Standard library only."""
