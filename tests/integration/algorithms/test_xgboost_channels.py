"""Training reads the channels, content types and files that the image reads."""

import numpy as np
import pytest
from refit_local.algorithms.xgboost.xgboost_library import xgb
from xgboost_container import CSV_CHANNEL, ROWS, failure_message


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({"validation": CSV_CHANNEL}, "'SM_CHANNEL_TRAIN'"),
        ({"train": CSV_CHANNEL, "model": CSV_CHANNEL}, "Extraneous channel found: model"),
        (
            {"train": {**CSV_CHANNEL, "ContentType": "text/csv;label_size=1"}},
            "Channel configuration for 'train' channel is not supported: {'ContentType': "
            "'text/csv;label_size=1', 'TrainingInputMode': 'File', 'S3DistributionType': "
            "'FullyReplicated', 'RecordWrapperType': 'None'}",
        ),
        (
            {"train": {**CSV_CHANNEL, "TrainingInputMode": "FastFile"}},
            "Channel configuration for 'train' channel is not supported: {'ContentType': "
            "'text/csv', 'TrainingInputMode': 'FastFile', 'S3DistributionType': "
            "'FullyReplicated', 'RecordWrapperType': 'None'}",
        ),
        (
            {"train": {**CSV_CHANNEL, "TrainingInputMode": "Pipe"}},
            "Pipe mode is not supported by this container: use TrainingInputMode File",
        ),
        (
            {"train": CSV_CHANNEL, "code": CSV_CHANNEL},
            f"Channel configuration for 'code' channel is not supported: {CSV_CHANNEL}",
        ),
    ],
)
def test_an_unsupported_channel_is_refused(job, train_here, channels, message):
    job.write({"num_round": "1"}, train=ROWS, channels=channels)
    assert failure_message(job, train_here) == message


def test_an_empty_channel_is_reported_with_its_path(job, train_here):
    job.write({"num_round": "1"}, train="")
    path = job.base / "input" / "data" / "train"
    assert failure_message(job, train_here) == f"No data in training channel path {path}"
    job.write({"num_round": "1"}, train=ROWS, validation="")
    path = job.base / "input" / "data" / "validation"
    assert failure_message(job, train_here) == f"No data in validation channel path {path}"


def test_a_hidden_file_is_refused_at_any_depth(job, train_here):
    job.write({"num_round": "1"}, train={"a.csv": ROWS, "b/c/d/e/.hidden": ""})
    assert failure_message(job, train_here) == (
        "Hidden file found in the data path! Remove that before training."
    )


def test_folders_are_read_to_a_depth_of_three_with_any_file_names(job, train_here, caplog):
    names = ["a;b?c#d&e=f.csv", "b/x.csv", "b/c/x.csv", "b/c/d/too deep.csv"]
    job.write({"num_round": "1"}, train=dict.fromkeys(names, ROWS))
    assert train_here(job) == 0
    assert f"Train matrix has {3 * 80} rows and 2 columns" in caplog.text
    assert "exceed the limit 3" in caplog.text


def test_csv_weights_are_read_from_the_second_column(job, train_here, caplog):
    job.write({"num_round": "1", "csv_weights": "1"}, train=ROWS)
    assert train_here(job) == 0
    assert "80 rows and 1 columns" in caplog.text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_detected(job, train_here, caplog, delimiter):
    job.write({"num_round": "1"}, train=ROWS.replace(",", delimiter))
    assert train_here(job) == 0
    assert "80 rows and 2 columns" in caplog.text


def test_a_file_without_a_detectable_delimiter_is_refused(job, train_here):
    job.write({"num_round": "1"}, train="\n1,2\n")
    assert train_here(job) == 1
    assert job.failure.endswith(
        "Could not determine delimiter on line \n:\nCould not determine delimiter"
    )


def test_a_header_line_is_logged_because_xgboost_reads_it_as_a_row(job, train_here, caplog):
    job.write({"num_round": "1"}, train="label,width,height\n" + ROWS)
    assert train_here(job) == 0
    assert "81 rows" in caplog.text
    assert "starts with text" in caplog.text


def test_data_that_xgboost_cannot_read_is_a_user_error(job, train_here):
    job.write({"num_round": "1"}, train="1,inf,2\n" * 5)
    assert train_here(job) == 1
    assert "\nFailed to load csv data with exception:\n" in job.failure
    assert "UserError" in job.failure


def test_libsvm_is_the_default_content_type(job, train_here, caplog):
    channel = {key: value for key, value in CSV_CHANNEL.items() if key != "ContentType"}
    lines = "1 0:0.5 1:2\n0 0:1.5 2:3\n" * 20
    job.write({"num_round": "1"}, train={"a.libsvm": lines}, channels={"train": channel})
    assert train_here(job) == 0
    assert "40 rows and 3 columns" in caplog.text


def test_a_csv_file_in_a_libsvm_channel_is_refused(job, train_here):
    channel = {**CSV_CHANNEL, "ContentType": "text/libsvm"}
    job.write({"num_round": "1"}, train=ROWS, channels={"train": channel})
    assert train_here(job) == 1
    assert job.failure.endswith(
        "First line '1,0.5,2\n...' of file 'train.csv' is not 'LIBSVM' format. "
        "Please ensure the file is in 'LIBSVM' format."
    )


def test_parquet_trains_with_missing_values(job, train_here, tmp_path, caplog):
    import duckdb

    path = tmp_path / "rows.parquet"
    with duckdb.connect() as connection:
        connection.sql(
            "SELECT (i % 2)::INTEGER AS label, CASE WHEN i % 7 = 0 THEN NULL ELSE i END AS a, "
            "i / 3.0 AS b FROM range(50) t(i)"
        ).write_parquet(str(path))
    channel = {**CSV_CHANNEL, "ContentType": "application/x-parquet"}
    hyperparameters = {"num_round": "2", "objective": "binary:logistic"}
    job.write(hyperparameters, train={"a": path.read_bytes()}, channels={"train": channel})
    assert train_here(job) == 0
    assert "50 rows and 2 columns" in caplog.text
    rows = np.array([[np.nan if i % 7 == 0 else i, i / 3.0] for i in range(50)])
    matrix = xgb.DMatrix(rows, label=[i % 2 for i in range(50)])
    expected = xgb.train({"objective": "binary:logistic"}, matrix, num_boost_round=2)
    trained = xgb.Booster(model_file=job.model / "xgboost-model")
    assert np.array_equal(trained.predict(matrix), expected.predict(matrix))
    job.write(hyperparameters, train={"a": b"no parquet"}, channels={"train": channel})
    assert train_here(job) == 1
    assert "Failed to load parquet data with exception:\n" in job.failure


def test_dense_and_sparse_recordio_train_and_a_truncated_file_is_refused(job, train_here, caplog):
    from recordio_writer import record, recordio

    rows = [([float(i), i / 2], i % 2) for i in range(40)]
    channel = {**CSV_CHANNEL, "ContentType": "application/x-recordio-protobuf"}
    dense = recordio(record(values, label=label) for values, label in rows)
    sparse = recordio(record(values, [0, 3], 5, label=label) for values, label in rows)
    for content, columns in ((dense, 2), (sparse, 5)):
        caplog.clear()
        job.write({"num_round": "1"}, train={"a": content}, channels={"train": channel})
        assert train_here(job) == 0
        assert f"40 rows and {columns} columns" in caplog.text
    job.write({"num_round": "1"}, train={"a": dense[:-5]}, channels={"train": channel})
    assert train_here(job) == 1
    assert "Failed to load recordio-protobuf data with exception:\nTruncated record" in job.failure


def test_identical_files_in_both_channels_are_logged(job, train_here, caplog):
    job.write({"num_round": "1"}, train={"v.csv": ROWS}, validation=ROWS)
    assert train_here(job) == 0
    assert "Suspected identical files found." in caplog.text
