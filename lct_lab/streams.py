"""The numbers of many of numpy's generators at once: those of Generator(PCG64(SeedSequence(…))).

Each init has generators of its own, and to make one costs numpy more than drawing thousand numbers
from it, all under the interpreter's lock. Here the same bits come without either. A SeedSequence
mixes words of 32 bits into a pool of four, from which PCG64 takes its 128-bit state s and odd
increment c:

    s ← a s + c  mod 2^128        u = ⌊r(s) / 2^11⌋ / 2^53

with r(s) the exclusive or of both halves, rotated by the six highest bits.

O'Neill, HMC-CS-2014-0905 (PCG64); "Developing a seed_seq alternative", pcg-random.org (2015).
numpy keeps both streams the same in all its versions (NEP 19). This module needs numba.
"""

import numpy as np

from lct_lab.compiled import compiled

WORD = np.uint64(0xFFFFFFFF)
POOL = 4  # words
HALF = np.uint64(32)

HASH_START, HASH_FACTOR = np.uint64(0x43B0D7E5), np.uint64(0x931E8875)
STATE_START, STATE_FACTOR = np.uint64(0x8B51F9DD), np.uint64(0x58F38DED)
MIX_LEFT, MIX_RIGHT = np.uint64(0xCA01F9DD), np.uint64(0x4973F715)
SHIFT = np.uint64(16)
A_HIGH, A_LOW = np.uint64(2549297995355413924), np.uint64(4865540595714422341)
ONE, ELEVEN, LAST, TOP = np.uint64(1), np.uint64(11), np.uint64(63), np.uint64(58)


@compiled
def _hash(value, factor, start):
    """A word scrambled, and the factor of the next."""
    following = (factor * start) & WORD
    scrambled = ((value ^ factor) * following) & WORD
    return scrambled ^ (scrambled >> SHIFT), following


@compiled
def _mixed(x, y):
    result = (MIX_LEFT * x - MIX_RIGHT * y) & WORD
    return result ^ (result >> SHIFT)


@compiled
def _pool(words, pool):
    """What a SeedSequence makes of `words`, four at least."""
    factor = HASH_START
    for i in range(POOL):
        pool[i], factor = _hash(words[i], factor, HASH_FACTOR)
    for source in range(POOL):
        for i in range(POOL):
            if i != source:
                hashed, factor = _hash(pool[source], factor, HASH_FACTOR)
                pool[i] = _mixed(pool[i], hashed)
    for source in range(POOL, len(words)):
        for i in range(POOL):
            hashed, factor = _hash(words[source], factor, HASH_FACTOR)
            pool[i] = _mixed(pool[i], hashed)


@compiled
def _step(high, low, c_high, c_low):
    """a s + c modulo 2^128, by halves of 64 bits; what carries from the low one, by quarters."""
    s0, s1 = low & WORD, low >> HALF
    a0, a1 = A_LOW & WORD, A_LOW >> HALF
    middle = s1 * a0 + ((s0 * a0) >> HALF)
    other = s0 * a1 + (middle & WORD)
    carried = s1 * a1 + (middle >> HALF) + (other >> HALF)
    product = low * A_LOW
    low_next = product + c_low
    carry = ONE if low_next < c_low else np.uint64(0)
    return high * A_LOW + low * A_HIGH + carried + c_high + carry, low_next


@compiled
def _fill(words, found):
    """found (inits, count): the first numbers of the generator that each row of `words` seeds."""
    pool = np.empty(POOL, np.uint64)
    state = np.empty(4, np.uint64)
    for i in range(len(words)):
        _pool(words[i], pool)
        factor = STATE_START
        for half in range(4):
            first, factor = _hash(pool[(2 * half) % POOL], factor, STATE_FACTOR)
            second, factor = _hash(pool[(2 * half + 1) % POOL], factor, STATE_FACTOR)
            state[half] = first | (second << HALF)
        c_high = (state[2] << ONE) | (state[3] >> LAST)
        c_low = (state[3] << ONE) | ONE
        low = c_low + state[1]
        carry = ONE if low < c_low else np.uint64(0)
        high, low = _step(c_high + state[0] + carry, low, c_high, c_low)
        for k in range(found.shape[1]):
            high, low = _step(high, low, c_high, c_low)
            turn = high >> TOP
            bits = high ^ low
            bits = (bits >> turn) | (bits << ((np.uint64(64) - turn) & LAST))
            found[i, k] = (bits >> ELEVEN) * 2.0**-53


def uniforms(seed, key, indices, last, count):
    """(inits, count): what SeedSequence(seed, spawn_key=(*key, index, last)) gives each of indices.

    The first `count` numbers of Generator.random, every bit. seed, and the integers of `key` and
    `last`, of any size; indices below 2^32.
    """
    before = _words(seed)
    before += [0] * (POOL - len(before))
    for value in key:
        before += _words(value)
    row = np.array([*before, 0, *_words(last)], np.uint64)
    words = np.tile(row, (len(indices), 1))
    words[:, len(before)] = indices
    found = np.empty((len(indices), count))
    _fill(words, found)
    return found


def _words(value):
    """The words of an integer, the lowest first."""
    count = max(1, -(-value.bit_length() // 32))
    return [value >> 32 * place & 0xFFFFFFFF for place in range(count)]
