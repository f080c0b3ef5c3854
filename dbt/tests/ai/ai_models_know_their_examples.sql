-- Each naming of seed ai_models wins its own example and gives the id that it says.
with

ai_said as (

    select example as model_said from {{ ref('ai_models') }}

),

{{ ai_model_ctes() }}

select
    models.model_key,
    models.example,
    models.example_model_id,
    found.model_key as winner,
    found.model_id
from {{ ref('ai_models') }} as models
left join ai_models_known as found on models.example = found.model_said
where
    found.model_key is distinct from models.model_key
    or found.model_id is distinct from models.example_model_id
