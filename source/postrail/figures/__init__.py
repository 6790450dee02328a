"""The figures that dashboards, alarms and `postrail status` show, and where they are read."""
