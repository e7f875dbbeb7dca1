"""As much of CometBFT's remote signer protocol (version 0.34) as one vote needs: the validator's side.

Messages are protobuf, each with its length before it. Numbers of fields are those of `tendermint/privval/types.proto`,
`tendermint/types/types.proto` and `tendermint/types/canonical.proto`.
"""

import struct

PREVOTE = 1
HEIGHT = 12345
ROUND = 0
SECONDS = 1_700_000_000
# A hash of 32 bytes each; any will do.
BLOCK_HASH, PARTS_HASH = b"\xa5" * 32, b"\x5a" * 32


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def fixed64(field, value):
    return varint(field << 3 | 1) + struct.pack("<q", value)


def block_id():
    return data(1, BLOCK_HASH) + data(2, number(1, 1) + data(2, PARTS_HASH))


def timestamp():
    return number(1, SECONDS)


def sign_vote_request(chain):
    """Message{sign_vote_request = 3: SignVoteRequest{vote = 1, chain_id = 2}}; fields of the value zero are left out."""
    vote = number(1, PREVOTE) + number(2, HEIGHT) + data(4, block_id()) + data(5, timestamp()) + data(6, b"\x11" * 20) + number(7, 1)
    request = data(3, data(1, vote) + data(2, chain.encode()))
    return varint(len(request)) + request


def vote_sign_bytes(chain):
    """What a validator signs: CanonicalVote, with its length before it."""
    canonical = number(1, PREVOTE) + fixed64(2, HEIGHT) + data(4, block_id()) + data(5, timestamp()) + data(6, chain.encode())
    return varint(len(canonical)) + canonical


def read_varint(take):
    value = shift = 0
    while True:
        byte = take(1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value


def read_message(connection):
    """One message, without its length."""

    def take(count):
        received = b""
        while len(received) < count:
            part = connection.recv(count - len(received))
            if not part:
                raise EOFError("the signer closed the connection before its answer was complete")
            received += part
        return received

    return take(read_varint(take))


def fields(message):
    """Field numbers with their values: numbers, or bytes."""
    position = 0

    def take(count):
        nonlocal position
        position += count
        return message[position - count : position]

    while position < len(message):
        tag = read_varint(take)
        if tag & 7 == 0:
            yield tag >> 3, read_varint(take)
        elif tag & 7 == 1:
            yield tag >> 3, take(8)
        else:
            yield tag >> 3, take(read_varint(take))


def signed_vote(message):
    """The signature in Message{signed_vote_response = 4: {vote = 1: {signature = 8}, error = 2}}."""
    response = dict(fields(dict(fields(message))[4]))
    if 2 in response:
        raise ValueError(f"the signer refused: {response[2]!r}")
    return dict(fields(response[1]))[8]
