"""The compiled core: the C library, and the masks, streams and transforms that call it."""
