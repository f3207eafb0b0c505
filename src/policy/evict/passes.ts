// The bound on what one `evict` of a marking policy passes over. With all of a million slots marked, an exact sweep would
// hold everybody up for tens of milliseconds; so after this many passes the next one goes, marked or not. At most one slot
// in 512 that a sweep passes is then lost too early.

export const passesMax = 512
