"""The nerves: how machines agree, find each other and talk.

Promises: what is acknowledged is on disk where it must be; who is not a member is not heard.
Never: decides where work goes. That is the brain's.
"""
