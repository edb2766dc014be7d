"""Lists and messages from senders: read, map, check, account for every row."""
