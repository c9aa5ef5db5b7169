"""`wire_name`: how a field of ours is called in JSON."""


def wire_name(field_name: str) -> str:
    """Turns "green_mode" into "greenMode"."""
    first, *rest = field_name.split("_")
    return first + "".join(map(str.capitalize, rest))
