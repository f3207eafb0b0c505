// Names of the files of a disk tier: `segment-00000012`, numbered from 1 in the order in which they were begun.

const form = /^segment-(\d{8})$/

export function segmentName(number: number): string {
  return `segment-${String(number).padStart(8, '0')}`
}

/** 0: it is no segment. */
export function segmentNumber(name: string): number {
  return Number(form.exec(name)?.[1] ?? 0)
}
