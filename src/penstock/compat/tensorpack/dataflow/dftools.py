"""Flows into files, as Tensorpack before 0.9 wrote them: today's are the serializers."""

from penstock.compat.tensorpack.dataflow.serialize import LMDBSerializer, TFRecordSerializer

__all__ = ["dump_dataflow_to_lmdb", "dump_dataflow_to_tfrecord"]

dump_dataflow_to_lmdb = LMDBSerializer.save
dump_dataflow_to_tfrecord = TFRecordSerializer.save
