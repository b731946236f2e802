"""Guided self-service.

`definition` is what a flow is made of, `checking` says where one is wrong, `engine` takes a turn (pure), `slots` reads
values out of what somebody wrote, `actions` calls the company's system, `runner` keeps all of it in the database.
"""
