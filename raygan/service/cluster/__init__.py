"""Jobs, what goes with them, dashboards, the doctor."""
