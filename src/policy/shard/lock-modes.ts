// Which of PostgreSQL's lock modes keep which waiting (its documentation, table 13.2), by the names of pg_locks. Needed for who
// holds a lock as a prepared transaction: of such `pg_blocking_pids` says only that there is one.

const modes = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
] as const

/** A row and a column for each mode, in their order; 1: one waits for the other. */
const conflicts = [
  '00000001',
  '00000011',
  '00001111',
  '00011111',
  '00110111',
  '00111111',
  '01111111',
  '11111111',
] as const

/** What is not known conflicts: a wait that is none makes no cycle by itself, a missed one hides it. */
export function lockModesConflict(wanted: string, held: string): boolean {
  // Of serializable transactions: nobody waits for it.
  if (held === 'SIReadLock') return false
  const [one, other] = [modes.indexOf(wanted as never), modes.indexOf(held as never)]
  return one < 0 || other < 0 || conflicts[one]?.[other] === '1'
}
