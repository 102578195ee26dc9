/** The I/O of blobs: names, the store on disk, who serves them over MQTT and who fetches them. */
export { BlobClient, type BlobClientOptions } from './blob-client.ts';
export { BlobHolder, type BlobHolderOptions, type BlobHolderStats } from './blob-holder.ts';
export type { BlobRequests } from './blob-requests.ts';
export { BlobStore } from './blob-store.ts';
export type { TransferOptions, TransferProgress } from './blob-upload.ts';
export {
  type BlobDescription,
  BlobHasher,
  blobKey,
  blobNameOf,
  chunkCount,
  chunkLength,
  describeBytes,
  isWhole,
  nameOf,
  sha256,
} from './hash.ts';
export { HeapKeeper } from './heap-keeper.ts';
export { describeFile } from './local-files.ts';
export {
  type LinkAddress,
  type LinkPacket,
  type LocalLink,
  localPort,
  openLocalLink,
  ownLinks,
} from './local-link.ts';
export { indexRecords, RecordIndexes } from './record-indexes.ts';
export { specHashOf } from './spec-hash.ts';
export type { BlobStoreOptions, BlobStoreStats, MissingParts } from './store-types.ts';
export { type BlobSource, nameOfSource, type SlicedBytes } from './upload-source.ts';
