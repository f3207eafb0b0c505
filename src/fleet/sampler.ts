// What instances use: CPU and resident memory of each one's whole process group, sampled once a second.

import { totalmem } from 'node:os'
import { processes } from '../io/process-table.ts'
import type { Life, LifeUsage } from './life.ts'

interface Sample {
  readonly atUs: number
  readonly cpuMs: number
}

/** Weight of the newest sample in the utilisation that is published: about the last five seconds count. */
const newestShare = 0.3

export class Sampler {
  #last = new Map<string, Sample>()

  /** One look at the process table for all lives. `memoryBytesMax`: the limit of that life's service. */
  sample(
    lives: readonly { readonly life: Life; readonly memoryBytesMax: number | undefined }[],
    nowUs: number,
    report: (life: Life, usage: LifeUsage) => void,
  ): void {
    if (lives.length === 0) return
    const groups = usageByGroup()
    const next = new Map<string, Sample>()
    for (const { life, memoryBytesMax } of lives) {
      const group = life.pid === null ? undefined : groups.get(life.pid)
      if (group === undefined) continue
      next.set(life.nonce, { atUs: nowUs, cpuMs: group.cpuMs })
      report(life, usageOf(group, this.#last.get(life.nonce), nowUs, memoryBytesMax, life.usage))
    }
    this.#last = next
  }
}

interface GroupUsage {
  cpuMs: number
  rssBytes: number
}

function usageByGroup(): Map<number, GroupUsage> {
  const groups = new Map<number, GroupUsage>()
  for (const row of processes.rows()) {
    const group = groups.get(row.group)
    if (group === undefined) groups.set(row.group, { cpuMs: row.cpuMs, rssBytes: row.rssBytes })
    else {
      group.cpuMs += row.cpuMs
      group.rssBytes += row.rssBytes
    }
  }
  return groups
}

function usageOf(
  group: GroupUsage,
  last: Sample | undefined,
  nowUs: number,
  memoryBytesMax: number | undefined,
  before: LifeUsage | null,
): LifeUsage {
  const elapsedMs = last === undefined ? 0 : (nowUs - last.atUs) / 1000
  // A process of the group that ended takes its time with it.
  const usedMs = last === undefined ? 0 : Math.max(0, group.cpuMs - last.cpuMs)
  const cores = elapsedMs > 0 ? usedMs / elapsedMs : 0
  const memory = group.rssBytes / (memoryBytesMax ?? totalmem())
  const now = Math.min(1, Math.max(cores, memory))
  const utilisation = before === null ? now : before.utilisation + newestShare * (now - before.utilisation)
  return {
    cpuPercent: Math.round(cores * 1000) / 10,
    rssBytes: group.rssBytes,
    utilisation: Math.round(utilisation * 1000) / 1000,
  }
}
