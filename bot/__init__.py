"""Chat: what people write and react with becomes commands; what happens in a session becomes messages."""
