// A database of the file in the simulation: as the file keeps it, or in the topology that the rehearsal tries.

import type { CheckedDatabase } from '../../file/checked-databases.ts'
import type { CheckedDatabaseLoad } from '../../file/checked-workload.ts'
import type { DatabaseEvents, DatabasePort } from '../system/database-port.ts'
import type { World } from '../system/world.ts'
import { CopiesModel } from './copies-router.ts'
import { DatabaseModel } from './router.ts'

export function createDatabase(world: World, name: string, events: DatabaseEvents): DatabasePort {
  const { system, workload, rehearsal } = world.blueprint
  const database = system.databases[name] as CheckedDatabase
  const load = workload.databases[name] as CheckedDatabaseLoad
  const topology = rehearsal.databases[name]
  if (topology === undefined || topology.kind === 'file')
    return new DatabaseModel(world, name, database, load, events)
  return new CopiesModel(world, name, database, load, topology, events)
}
