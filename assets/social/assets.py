"""Who brought whom: clicks bound to sharers, the tree they make, group orders, commissions."""
