"""Calls of other vendors' libraries, turned into payloads as a tracker would have sent them."""
