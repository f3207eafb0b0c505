// Country and autonomous system of an address, from files of the operator; nothing is looked up over the network. Each
// worker has the files in its memory, and looks for changed ones every few seconds.

import type { GuardPart, GuardSpec, GuardSurroundings, MainGuardPart } from '../part.ts'
import { GeoFile } from './geo-file.ts'

const lookMs = 10_000

type GeoSettings = GuardSpec['geo']

export function createPart(surroundings: GuardSurroundings): GuardPart {
  return new GeoPart(surroundings)
}

/** Refuses a snapshot whose files can't be used. */
export function createMainPart(): MainGuardPart {
  return {
    name: 'geo',
    take: async ({ geo }) => {
      for (const path of [geo?.countryFile, geo?.asnFile])
        if (path !== undefined) await new GeoFile(path).refresh()
    },
  }
}

class GeoPart implements GuardPart {
  readonly name = 'geo'
  readonly #surroundings: GuardSurroundings
  #country: GeoFile | null = null
  #asn: GeoFile | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(surroundings: GuardSurroundings) {
    this.#surroundings = surroundings
  }

  async prepare({ geo }: GuardSpec): Promise<void> {
    this.#country = await kept(this.#country, geo?.countryFile)
    this.#asn = await kept(this.#asn, geo?.asnFile)
    const { hooks } = this.#surroundings
    hooks.country = this.#country === null ? null : address => this.#countryOf(address)
    hooks.asn = this.#asn === null ? null : address => this.#asnOf(address)
    this.#watch(geo)
  }

  /** Its values are others' to count by. */
  step(): null {
    return null
  }

  #watch(geo: GeoSettings): void {
    const wanted = geo?.countryFile !== undefined || geo?.asnFile !== undefined
    if (!wanted && this.#timer !== null) {
      clearInterval(this.#timer)
      this.#timer = null
    } else if (wanted) this.#timer ??= setInterval(() => void this.look(), lookMs).unref()
  }

  /** Takes changed files into use; an unusable one leaves the one before. */
  async look(): Promise<void> {
    for (const file of [this.#country, this.#asn]) {
      try {
        await file?.refresh()
      } catch (error) {
        this.#surroundings.tell('guard', (error as Error).message)
      }
    }
  }

  #countryOf(address: string): string | undefined {
    const found = this.#country?.find(address)
    return (found?.country ?? found?.registered_country)?.iso_code
  }

  #asnOf(address: string): string | undefined {
    const number = this.#asn?.find(address)?.autonomous_system_number
    return number === undefined ? undefined : String(number)
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
  }
}

async function kept(file: GeoFile | null, path: string | undefined): Promise<GeoFile | null> {
  if (path === undefined) return null
  const next = file?.path === path ? file : new GeoFile(path)
  await next.refresh()
  return next
}
