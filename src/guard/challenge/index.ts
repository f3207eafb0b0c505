// The guard's part that asks for proof: challenges for who is suspected, clearances for who has passed. See README.md.

import type { GuardPart, GuardSurroundings, MainGuardPart, MainPartSurroundings } from '../part.ts'
import type { Assets } from './assets.ts'
import { loadAssets } from './assets.ts'
import { checkSpec } from './check-spec.ts'
import { sumOfCounts } from './counts.ts'
import { type ChallengeToWorker, Desk } from './desk.ts'
import { createLink } from './link.ts'
import { challengeMemory, memoryNames } from './memory.ts'
import { ChallengePages } from './pages.ts'
import { SpentTable } from './spent-table.ts'
import { challengeStep } from './step.ts'

export { humanKey } from './keys.ts'

export function createPart(surroundings: GuardSurroundings): GuardPart {
  let assets: Assets | null = null
  let desk: Desk | null = null
  let pages: ChallengePages | null = null
  const link = createLink(surroundings)
  return {
    name: 'challenge',
    prepare: async spec => {
      assets ??= await loadAssets()
      if (desk === null) {
        desk = new Desk(surroundings, spec, assets)
        pages = new ChallengePages(desk)
      } else desk.take(spec)
      desk.spent.shared = await link.take(spec)
    },
    step: policy => (policy.challenge === undefined || desk === null ? null : challengeStep(desk, policy)),
    page: (passage, name, rest, visit) => {
      if (name !== 'challenge' || pages === null) return false
      pages.page(passage, rest, visit)
      return true
    },
    hear: message => desk?.hear(message as ChallengeToWorker),
    close: async () => {
      desk?.close()
      link.close()
    },
  }
}

export function createMainPart(surroundings: MainPartSurroundings): MainGuardPart {
  const memory = challengeMemory(surroundings.workers)
  return {
    name: 'challenge',
    memory: () => memory,
    take: async spec => {
      checkSpec(spec)
      await loadAssets()
    },
    workerDied: worker =>
      new SpentTable(memory[memoryNames.spent] as SharedArrayBuffer, 0).release(worker + 1),
    accountsBanned: accounts =>
      surroundings.send({
        kind: 'banned',
        accounts,
        atMs: surroundings.clock.wall() / 1_000,
      } satisfies ChallengeToWorker),
    status: () => sumOfCounts(memory[memoryNames.counts] as SharedArrayBuffer),
  }
}
