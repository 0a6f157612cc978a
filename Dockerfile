# Airflow's own image with this project installed into it. The version is that of constraints.txt.
FROM apache/airflow:3.3.2-python3.11

WORKDIR /opt/airflow/source
COPY --chown=airflow:0 pyproject.toml constraints.txt README.md ./
COPY --chown=airflow:0 segmentation ./segmentation
# Naming Airflow beside the project keeps pip from ever replacing the image's Airflow by another version.
RUN pip install --no-cache-dir --constraint constraints.txt "apache-airflow==${AIRFLOW_VERSION}" ".[postgres]"

WORKDIR /opt/airflow
COPY --chown=airflow:0 dags ./dags
# A named volume takes over the owner of the folder that it is mounted on.
RUN mkdir -p store && chmod g+w store
