"""The content types of training channels and of requests."""

from refit_local.algorithms.xgboost.errors import UserError

CSV = "csv"
LIBSVM = "libsvm"
PARQUET = "parquet"
RECORDIO_PROTOBUF = "recordio-protobuf"

_FORMATS = {
    "csv": CSV,
    "libsvm": LIBSVM,
    "parquet": PARQUET,
    "recordio-protobuf": RECORDIO_PROTOBUF,
    "text/csv": CSV,
    "text/libsvm": LIBSVM,
    "text/x-libsvm": LIBSVM,
    "application/x-parquet": PARQUET,
    "application/x-recordio-protobuf": RECORDIO_PROTOBUF,
}
ACCEPTED = tuple(_FORMATS)


def parse_header(value: str) -> tuple[str, dict[str, str]]:
    """Split `text/csv; label_size=1` into the bare value and its parameters.

    Parameter names are returned in lower case, quoted values without their quotes.
    """
    head, *rest = _split_outside_quotes(value)
    parameters = {}
    for part in rest:
        name, equals, text = part.partition("=")
        if not equals:
            continue
        text = text.strip()
        if len(text) >= 2 and text[0] == text[-1] == '"':
            text = text[1:-1].replace("\\\\", "\\").replace('\\"', '"')
        parameters[name.strip().lower()] = text
    return head.strip(), parameters


def _split_outside_quotes(value: str) -> list[str]:
    parts, start, quoted = [], 0, False
    for position, character in enumerate(value):
        if character == '"' and (position == 0 or value[position - 1] != "\\"):
            quoted = not quoted
        elif character == ";" and not quoted:
            parts.append(value[start:position])
            start = position + 1
    parts.append(value[start:])
    return parts


def data_format(content_type: str | None) -> str:
    """Return the format of a content type: one of the four constants. None means libsvm.

    Raises:
        UserError: the content type is not accepted, or a CSV has another label_size than 1.
    """
    if content_type is None:
        return LIBSVM
    name, parameters = parse_header(content_type.lower())
    if name not in _FORMATS:
        raise UserError(f"{content_type} is not an accepted ContentType: {', '.join(ACCEPTED)}.")
    if _FORMATS[name] == CSV and parameters.get("label_size", "1") != "1":
        raise UserError(
            f"{content_type} is not an accepted csv ContentType. "
            "Optional parameter label_size must be equal to 1"
        )
    return _FORMATS[name]
