"""The door: the one way out of a box. It knows from the socket which box asks, lets through what the policy
of the session's repository allows, and puts credentials in on the way out."""
