// The members of an upstream, over cells: what the edge and the simulator share.

export {
  createMemberCells,
  type MemberCells,
  memberLayout,
  memberWorkerLayout,
  sumOver,
} from './cells.ts'
export { type MemberFacts, Members, type MembersSettings } from './members.ts'
export { applyProbe, OutlierSweep, type SweptUpstream } from './sweep.ts'
