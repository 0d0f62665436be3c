"""Records: an item as bytes that name no code, for files and for sockets to other machines.

An item is a tree: dicts, lists and tuples over arrays, NumPy scalars, numbers, texts, byte strings and None.

    ┌ head, 16 bytes ┐┌ header: what there is ┐┌ numbers, 8 bytes each ┐┌ buffers: bytes packed, arrays at 64s ┐
    │"PSR" version  │ {"image":["a","|u1",3], │ 375 500 3 7            │ pixels …                              │
    │ header, total ││  "label":"i"}          ││ (shape, label)        ││                                      │

The header says types and structure only; whatever differs between the items of one dataset (values, shapes, lengths)
stands behind it. So the headers of most datasets are all alike, and each different one is parsed and checked once.
Where a buffer lies follows from what comes before it, so nothing can overlap and nothing can point outside.

A header is JSON. Each entry is a text or a list that begins with one:

    "n" None   "?" bool   "i" int   "I" int beyond 64 bits   "f" float   "c" complex   "s" str   "b" bytes
    "B" bytearray   "u" numpy.str_   "w" numpy.bytes_       ["g", dtype] another NumPy scalar
    ["a", dtype, axes] an array in C order   ["A", dtype, axes] in Fortran order
    {name: entry, …} a dict   ["m", [key, …], entry, …] a dict whose keys are not all text
    ["l", entry, …] a list    ["t", entry, …] a tuple    ["L", "i"] a list of any length, all "i" ("f", "?", "s", "b")

``decode`` believes nothing: every size is compared with what is there before anything is made of it, so a hostile
record costs no more memory than a small multiple of its own size; whatever is wrong is a CorruptRecord.
"""

from __future__ import annotations

from penstock.transport.record_decoding import decode, header_of, schema
from penstock.transport.record_encoding import encode, pieces

__all__ = ["decode", "encode", "header_of", "pieces", "schema"]
