// Who somebody is, as the guard's composition loads it, and what commands need of the files of keys and passwords.

import type { GuardPart, GuardSurroundings, MainGuardPart } from '../part.ts'
import { parseKeys } from './keys/store.ts'
import { IdentityPart } from './part.ts'
import { parsePasswords } from './passwords/store.ts'
import { parseKeyFile } from './tokens/key-set.ts'
import { readWhole } from './watched-file.ts'

export { keyLine, newKey, parseKeys, type StoredKey } from './keys/store.ts'
export { parsePasswords, passwordLine } from './passwords/store.ts'

export function createPart(surroundings: GuardSurroundings): GuardPart {
  return new IdentityPart(surroundings)
}

/** Refuses a system whose files can't be read, before any worker has it. */
export function createMainPart(): MainGuardPart {
  return {
    name: 'identity',
    take: async ({ identity }) => {
      for (const { file } of Object.values(identity.keys ?? {})) await readWhole(file, parseKeys)
      for (const { file } of Object.values(identity.basic ?? {})) await readWhole(file, parsePasswords)
      for (const { keys } of Object.values(identity.jwt ?? {}))
        if (keys.kind === 'file') await readWhole(keys.file, parseKeyFile)
    },
  }
}
