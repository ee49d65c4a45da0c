"""Social: shares, referrals, group orders, advocates, commissions."""
