"""The platform by HTTP: functions, invocations, metrics and a page for people."""
