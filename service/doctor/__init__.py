"""The doctor: what is wrong with an installation, and what to do about it now.

It reads the environment, the files, the database and Redis by itself, so that it answers when no
server does. It changes nothing.
"""
