// A process that takes a base backup and says so, for tests that kill it in the middle.
// Arguments: state directory, backup directory, port and password of the primary.

import { createBackups } from '../../src/database/backup/index.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { databaseUser, replicationRole, silent, specOf, topologyOf } from './backups.ts'

const [stateDirectory, directory, port, password] = process.argv.slice(2) as [string, string, string, string]
const backups = createBackups({
  spec: specOf('main', directory),
  stateDirectory,
  user: databaseUser(),
  clock: systemClock,
  log: silent,
  roles: () => [{ ...replicationRole, password }],
  topology: () => topologyOf([{ id: 'main-1', port: Number(port) }], 'main-1'),
  decided: ({ text }) => console.log(text),
})
await backups.start()
