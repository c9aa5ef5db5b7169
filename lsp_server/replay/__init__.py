"""What a completion server costs and gives while a person types: real files typed into real servers.

Reading order: `typist` is the person, `editor` the editor between person and server, `replay` lets them work,
`green_code` and `http_peer` are the servers, `summary` sums up, `output` shows. The files to type and the rule by which
text is accepted are handed in.
"""
