"""The companion page over a real log, a real web server and a real browser."""
