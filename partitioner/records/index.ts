export { blockIndex } from './blocks.ts';
export { cutByWeights, cutRange, cutRecords, itemsSlice, type RecordPiece, type WeightedPiece } from './cut.ts';
export { type RecordIndex, RecordsError, recordIndexProblem, type SplitBy } from './record-index.ts';
export { createRecordScanner, type RecordScanner, type RecordScannerOptions } from './scanner.ts';
export { paddedBytes, type TarFile, tarBlockBytes, tarFiles, tarHeader } from './tar.ts';
