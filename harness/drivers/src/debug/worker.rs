//! The parent's side of the probe worker: one process a survey, under a deadline.
