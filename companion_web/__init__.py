"""The companion page: what a session does, live in the browser, and the web process's other doors."""
