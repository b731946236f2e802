"""Who is told of an alert, when, by which way; and who is not.

`matching` and `quiet` are pure; `muting`, `escalation` and `notifying` go from an alert to notifications, `texts`,
`chat` and `sending` from a notification to whoever it is for; `channels`, `chains`, `routes`, `silences` and
`people` keep what the organisation has set up.
"""
