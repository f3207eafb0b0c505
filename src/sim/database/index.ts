// A database of the file in the simulation.

import type { CheckedDatabase } from '../../file/checked-databases.ts'
import type { CheckedDatabaseLoad } from '../../file/checked-workload.ts'
import type { DatabaseEvents, DatabasePort } from '../system/database-port.ts'
import type { World } from '../system/world.ts'
import { DatabaseModel } from './router.ts'

export function createDatabase(world: World, name: string, events: DatabaseEvents): DatabasePort {
  const { system, workload } = world.blueprint
  const database = system.databases[name] as CheckedDatabase
  const load = workload.databases[name] as CheckedDatabaseLoad
  return new DatabaseModel(world, name, database, load, events)
}
