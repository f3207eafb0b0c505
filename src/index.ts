// What a user's system file imports: `defineSystem`, `secret` and the types. It loads nothing else, so that importing
// it costs nothing; the checker runs on the data, in Tenfold's own process.

import type { SystemInput } from './file/input.generated.ts'

export type * from './file/hooks.ts'
export type * from './file/input.generated.ts'
export { secret } from './file/secrets.ts'

/** What a system file may export: the system, or a function that gives it. */
export type SystemDefinition = SystemInput | (() => SystemInput | Promise<SystemInput>)

/**
 * Gives back what it is given; it is there for its types. A function (also async) is called when the file is loaded.
 *
 *     import { defineSystem } from 'tenfold'
 *     export default defineSystem({ name: 'shop', services: { web: { command: 'node web.mjs' } } })
 */
export function defineSystem(system: SystemDefinition): SystemDefinition {
  return system
}
