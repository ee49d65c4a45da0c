"""Value: lifetime value, RFM, lifecycle, retention."""
